"""An encoder and a decoder with additive attention in PyTorch, as a user of torch writes them."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class TorchTranslator(nn.Module):
    """GRU in both directions; GRU whose input is the last token and the context; softmax over the target tokens.

    The score of a memory vector m for a state h is ``vᵀ tanh(W_q h + b + W_m m)`` (Bahdanau et al. 2015). The state of
    the decoder begins with a dense layer of the encoder's last states, and a dense layer of state and context is what
    the softmax sees.
    """

    def __init__(self, n_source, n_target, embedding_size, hidden_size, attention_size):
        super().__init__()
        self.source = nn.Embedding(n_source, embedding_size)
        self.encoder = nn.GRU(embedding_size, hidden_size, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden_size, hidden_size)
        self.target = nn.Embedding(n_target, embedding_size)
        self.decoder = nn.GRUCell(embedding_size + 2 * hidden_size, hidden_size)
        self.query = nn.Linear(hidden_size, attention_size)
        self.memory = nn.Linear(2 * hidden_size, attention_size, bias=False)
        self.score = nn.Linear(attention_size, 1, bias=False)
        self.attentional = nn.Linear(3 * hidden_size, embedding_size)
        self.output = nn.Linear(embedding_size, n_target)

    @classmethod
    def like(cls, network):
        """Return torch's network with the weights of a `TranslationNetwork` of one layer with input feeding."""
        layers = {name: {key: torch.tensor(array) for key, array in layer.state_dict().items()}
                  for name, layer in network.layers.items() if layer.parameters}  # fmt: skip
        (n_source, size), (n_target, _) = (layers[name]["weight"].shape for name in ("embedding", "target_embedding"))
        decoder, hidden = layers["decoder"], network.decoder.hidden_size
        module = cls(n_source, n_target, size, hidden, len(decoder["attention.score"]))
        parts = {
            "source": layers["embedding"],
            "encoder": layers["encoder"],
            "bridge": layers["bridge_h_l0"],
            "target": layers["target_embedding"],
            "decoder": {name.removesuffix("_l0"): decoder[name] for name in decoder if name.endswith("_l0")},
            "query": {"weight": decoder["attention.weight_query"], "bias": decoder["attention.bias"]},
            "memory": {"weight": decoder["attention.weight_memory"]},
            "score": {"weight": decoder["attention.score"][None]},
            "attentional": layers["readout"],
            "output": layers["output"],
        }
        for name, state in parts.items():
            module.get_submodule(name).load_state_dict(state)
        return module

    def encode(self, sources, lengths):
        """Return values (B, S, M), keys (B, S, A), which of them there are (B, S), and the first state (B, H).

        The lengths are on the host, as packing needs them.
        """
        packed = pack_padded_sequence(self.source(sources), lengths, enforce_sorted=False)
        values, last = self.encoder(packed)
        values = pad_packed_sequence(values)[0].transpose(0, 1)
        there = torch.arange(values.shape[1], device=values.device) < lengths.to(values.device)[:, None]
        return values, self.memory(values), there, torch.tanh(self.bridge(torch.cat([last[0], last[1]], dim=1)))

    def attend(self, h, values, keys, there):
        """Return the context (B, M) of a state (B, H)."""
        scores = self.score(torch.tanh(self.query(h)[:, None] + keys)).squeeze(2)
        weights = torch.softmax(scores.masked_fill(~there, -torch.inf), dim=1)
        return torch.bmm(weights[:, None], values).squeeze(1)

    def step(self, embedded, h, values, keys, there):
        """Return the next state (B, H) and the context (B, M) of one step of all sequences."""
        context = self.attend(h, values, keys, there)
        return self.decoder(torch.cat([embedded, context], dim=1), h), context

    def logits(self, h, contexts):
        """Return the logits (..., V) of states (..., H) and contexts (..., M)."""
        return self.output(torch.tanh(self.attentional(torch.cat([h, contexts], dim=-1))))

    def forward(self, sources, lengths, inputs):
        """Return the logits (T, B, V) of the next tokens for sources (S, B), their lengths (B,), and inputs (T, B)."""
        values, keys, there, h = self.encode(sources, lengths)
        states, contexts = [], []
        for embedded in self.target(inputs):
            h, context = self.step(embedded, h, values, keys, there)
            states.append(h)
            contexts.append(context)
        return self.logits(torch.stack(states), torch.stack(contexts))

    @torch.no_grad()
    def greedy(self, sources, lengths, start, end, longest):
        """Return the likeliest next tokens, step by step (T, B); what follows the token `end` means nothing."""
        values, keys, there, h = self.encode(sources, lengths)
        tokens, found = torch.full(lengths.shape, start), []
        finished = torch.zeros(lengths.shape, dtype=torch.bool)
        while len(found) < longest and not finished.all():
            h, context = self.step(self.target(tokens), h, values, keys, there)
            tokens = self.logits(h, context).argmax(dim=1)
            found.append(tokens)
            finished |= tokens == end
        return torch.stack(found)
