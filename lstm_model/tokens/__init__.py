"""From texts to token_ids: the tokenizer, encoding, ragged rows, batches."""
