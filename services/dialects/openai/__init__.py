"""OpenAI Chat Completions and Embeddings, as OpenAI and the many compatible servers speak them."""
