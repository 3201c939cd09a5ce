package image

import (
	"github.com/opencontainers/go-digest"
)

// ChainID names a stack of layers by its diff ids, bottom first: the bottom
// layer's chain id is its diff id, and every further one is the sha256 of
// "<chain id below> <diff id>". The empty stack has "". (OCI config.md, "Layer
// ChainID".)
func ChainID(diffIDs []digest.Digest) digest.Digest {
	var chain digest.Digest
	for _, diff := range diffIDs {
		chain = NextChainID(chain, diff)
	}
	return chain
}

// NextChainID is the chain id of one layer on top of the stack below.
func NextChainID(below, diff digest.Digest) digest.Digest {
	if below == "" {
		return diff
	}
	return digest.FromString(below.String() + " " + diff.String())
}

// ChainIDs are the chain ids of a stack's layers, bottom first.
func ChainIDs(diffIDs []digest.Digest) []digest.Digest {
	chains := make([]digest.Digest, len(diffIDs))
	var below digest.Digest
	for i, diff := range diffIDs {
		below = NextChainID(below, diff)
		chains[i] = below
	}
	return chains
}
