"""One streamed answer through the llmhub-client package, and what it used.

Run: LLMHUB_API_KEY=... python examples/python_client.py [MODEL] [QUESTION]
"""

import asyncio
import os
import sys

from llmhub_client import Client, LlmhubError, user
from llmhub_client.messages import GenerateRequest, Usage

URL = os.environ.get("LLMHUB_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("LLMHUB_API_KEY", "")


async def main(model: str = "sim/echo", question: str = "Hello from the Python client") -> None:
    async with Client(URL, KEY, timeout=120) as client:
        request = GenerateRequest(model=model, messages=[user(question)])
        async with client.stream(request) as stream:
            async for piece in stream.text():
                print(piece, end="", flush=True)
            answer = await stream.collect()
        usage = answer.usage or Usage()
        print(f"\n[{answer.model}: {usage.input_tokens} tokens in, {usage.output_tokens} out]")


try:
    asyncio.run(main(*sys.argv[1:]))
except LlmhubError as error:
    sys.exit(f"{error}\nIs llmhub running at {URL}, and is LLMHUB_API_KEY set?")
