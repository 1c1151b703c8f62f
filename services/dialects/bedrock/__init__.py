"""AWS Bedrock's Converse API: Converse, ConverseStream and CountTokens."""

from services.dialects.bedrock.codec import BedrockCodec

__all__ = ["BedrockCodec"]
