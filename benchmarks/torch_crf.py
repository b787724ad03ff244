"""A linear-chain conditional random field in PyTorch, as taggers there have it: vectorised over the batch.

The loop over the steps is Python's; each step is one ``logsumexp`` over (B, K, K). Gradients come from autograd.
"""

import torch


class TorchCRF(torch.nn.Module):
    """The loss of tags (T, B) given emissions (T, B, K), with the parameters of `fastrnn.layers.CRF`."""

    def __init__(self, num_tags):
        super().__init__()
        self.start_transitions = torch.nn.Parameter(torch.zeros(num_tags))
        self.end_transitions = torch.nn.Parameter(torch.zeros(num_tags))
        self.transitions = torch.nn.Parameter(torch.zeros(num_tags, num_tags))

    def losses(self, emissions, tags, mask):
        """Return −log p(tags) of each sequence, (B,); the mask (T, B) is true within sequences, which have a step."""
        return self._log_z(emissions, mask) - self._score(emissions, tags, mask)

    def _score(self, emissions, tags, mask):
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)
        passed = self.transitions[tags[:-1], tags[1:]]
        last = tags.gather(0, mask.sum(0, keepdim=True) - 1).squeeze(0)
        return (
            self.start_transitions[tags[0]]
            + (emitted * mask).sum(0)
            + (passed * mask[1:]).sum(0)
            + self.end_transitions[last]
        )

    def _log_z(self, emissions, mask):
        alpha = self.start_transitions + emissions[0]
        for t in range(1, len(emissions)):
            after = torch.logsumexp(alpha.unsqueeze(2) + self.transitions, dim=1) + emissions[t]
            alpha = torch.where(mask[t].unsqueeze(1), after, alpha)
        return torch.logsumexp(alpha + self.end_transitions, dim=1)

    @torch.no_grad()
    def decode(self, emissions, mask):
        """Return the best paths, (T, B)."""
        best, pointers = self.start_transitions + emissions[0], []
        same = torch.arange(emissions.shape[2]).expand_as(best)
        for t in range(1, len(emissions)):
            after, pointer = (best.unsqueeze(2) + self.transitions).max(dim=1)
            best = torch.where(mask[t].unsqueeze(1), after + emissions[t], best)
            pointers.append(torch.where(mask[t].unsqueeze(1), pointer, same))
        tags = [(best + self.end_transitions).argmax(1)]
        for pointer in reversed(pointers):
            tags.append(pointer.gather(1, tags[-1].unsqueeze(1)).squeeze(1))
        return torch.stack(tags[::-1])
