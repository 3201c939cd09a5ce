package image

import (
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// v1ID computes the id that images from before Docker 1.10 had, one for each
// layer: the sha256 of the v1 configuration with layer_id and parent set. An
// archive of `docker save` still names its folders by it.
func v1ID(v V1, chain digest.Digest, parent string) (string, error) {
	v.ID = ""
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	set := map[string]string{"layer_id": chain.String()}
	if parent != "" {
		set["parent"] = "sha256:" + parent
	}
	sorted, err := sortKeys(plain, set)
	return digest.FromBytes(sorted).Encoded(), err
}

// v1Chain makes the v1 configurations of an image's layers, bottom first. Only
// the last one says something; the others just carry the chain.
func v1Chain(img *Image) ([]V1, error) {
	chains := ChainIDs(img.RootFS.DiffIDs)
	list := make([]V1, len(chains))
	parent := ""
	for i, chain := range chains {
		v := V1{Created: time.Unix(0, 0).UTC()}
		if i == len(chains)-1 {
			v = img.V1
		}
		id, err := v1ID(v, chain, parent)
		if err != nil {
			return nil, err
		}
		v.ID, v.Parent, v.OS = id, parent, img.OS
		list[i], parent = v, id
	}
	return list, nil
}
