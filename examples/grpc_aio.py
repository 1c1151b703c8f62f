"""The generated gRPC stubs, as a service in any language would use them.

Run: LLMHUB_API_KEY=... python examples/grpc_aio.py [MODEL] [QUESTION]
"""

import asyncio
import os
import sys
from urllib.parse import urlsplit

import grpc
import grpc.aio

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateStreamRequest
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from llmhub.types.v1.content_pb2 import Message, Part, Role

URL = os.environ.get("LLMHUB_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("LLMHUB_API_KEY", "")


async def main(model: str = "sim/echo", question: str = "Hello from grpc.aio") -> None:
    message = Message(role=Role.ROLE_USER, parts=[Part(text=question)])
    request = GenerateStreamRequest(request=GenerateRequest(model=model, messages=[message]))
    complete = False
    # An address with https:// takes grpc.aio.secure_channel(target, grpc.ssl_channel_credentials()).
    async with grpc.aio.insecure_channel(urlsplit(URL).netloc) as channel:
        metadata = (("authorization", f"Bearer {KEY}"),)
        answer = CompletionServiceStub(channel).GenerateStream(request, metadata=metadata, timeout=120)
        async for response in answer:
            for event in response.events:
                print(event.block_delta.text, end="", flush=True)
                complete = event.finished.complete
    print("" if complete else "\n[the answer broke off]")


try:
    asyncio.run(main(*sys.argv[1:]))
except grpc.aio.AioRpcError as error:
    sys.exit(f"{error.details()}\nIs llmhub running at {URL}, and is LLMHUB_API_KEY set?")
