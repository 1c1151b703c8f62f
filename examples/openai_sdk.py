"""The official OpenAI package, unchanged, on any provider's model.

Run: LLMHUB_API_KEY=... python examples/openai_sdk.py [MODEL] [QUESTION]
"""

import os
import sys

from openai import OpenAI, OpenAIError

URL = os.environ.get("LLMHUB_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("LLMHUB_API_KEY", "not set")


def main(model: str = "sim/echo", question: str = "Hello from the OpenAI package") -> None:
    with OpenAI(base_url=f"{URL}/v1", api_key=KEY) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], stream=True
        )
        for chunk in answer:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
        print()


try:
    main(*sys.argv[1:])
except OpenAIError as error:
    sys.exit(f"{error}\nIs llmhub running at {URL}, and is LLMHUB_API_KEY set?")
