from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lstm_model.config.section import Count, Rate, Section


class ModelConfig(Section):
    """The network: embedding, LSTM layers, pooling, dense head."""

    embedding_dim: Count = 200
    """Width of a token's vector (E)."""
    word_vectors: Path | None = None
    """Vectors that words start from: GloVe text, fastText .vec or word2vec binary, each also gzipped. Unset: random."""
    tune_word_vectors: bool = True
    """Train the vectors of the file; off, they stay as they are, and only those of other words are trained."""
    lstm_layers: Count = 1
    """LSTM layers, one on top of the other."""
    lstm_units: Count = 32
    """Units of each LSTM layer and direction (H)."""
    bidirectional: bool = True
    """Read each text in both directions."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation of the LSTM's candidate and output. relu leaves the fast GPU path."""
    pooling: Literal["last", "max", "mean"] = "max"
    """How the states of all tokens become one vector: the last state, or the maximum or mean over the tokens."""
    embedding_skip: bool = True
    """Pool the embeddings together with the LSTM's states (not with pooling=last)."""
    dense_units: int = Field(0, ge=0)
    """Units of a dense relu layer before the output; 0 leaves it out."""
    dropout_rate: Rate = 0.3
    """Dropout after each LSTM layer (after the pooling for the topmost) and after the dense layer."""
    word_dropout_rate: Rate = 0.2
    """Share of tokens replaced by [UNK] while training."""

    @model_validator(mode="after")
    def _check_pairs(self) -> "ModelConfig":
        if not self.tune_word_vectors and self.word_vectors is None:
            raise ValueError("tune_word_vectors=false needs word_vectors; name a file, or leave tune_word_vectors true")
        if self.embedding_skip and self.pooling == "last":
            raise ValueError("embedding_skip needs pooling=max or pooling=mean; set embedding_skip to false")
        return self
