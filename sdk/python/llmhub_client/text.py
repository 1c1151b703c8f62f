"""Plain text in and out, for calls that need no more."""

from llmhub_client.messages import GenerateResponse, Message, Part, Role


def user(text: str) -> Message:
    """Return the user's turn with this text."""
    return Message(role=Role.USER, parts=[Part(text=text)])


def text_of(answer: GenerateResponse) -> str:
    """Return the text of the first candidate, without reasoning and refusals."""
    parts = answer.candidates[0].parts if answer.candidates else []
    return "".join(part.text for part in parts if part.text is not None)
