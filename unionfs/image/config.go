package image

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// Config is how a container of the image runs. Fields, order and omissions are
// Docker's, since the JSON of it goes into ids.
type Config struct {
	Hostname        string
	Domainname      string
	User            string
	AttachStdin     bool
	AttachStdout    bool
	AttachStderr    bool
	ExposedPorts    map[string]struct{} `json:",omitempty"`
	Tty             bool
	OpenStdin       bool
	StdinOnce       bool
	Env             []string
	Cmd             []string
	Healthcheck     *Healthcheck `json:",omitempty"`
	ArgsEscaped     bool         `json:",omitempty"`
	Image           string
	Volumes         map[string]struct{}
	WorkingDir      string
	Entrypoint      []string
	NetworkDisabled bool   `json:",omitempty"`
	MacAddress      string `json:",omitempty"`
	OnBuild         []string
	Labels          map[string]string
	StopSignal      string   `json:",omitempty"`
	StopTimeout     *int     `json:",omitempty"` // seconds
	Shell           []string `json:",omitempty"`
}

// Healthcheck is how to find out whether a container works.
type Healthcheck struct {
	Test        []string      `json:",omitempty"`
	Interval    time.Duration `json:",omitempty"`
	Timeout     time.Duration `json:",omitempty"`
	StartPeriod time.Duration `json:",omitempty"`
	Retries     int           `json:",omitempty"`
}

// V1 is the part of an image's configuration that is older than layers with
// ids of their own. `docker save` still writes one per layer.
type V1 struct {
	ID              string    `json:"id,omitempty"`
	Parent          string    `json:"parent,omitempty"`
	Comment         string    `json:"comment,omitempty"`
	Created         time.Time `json:"created"`
	Container       string    `json:"container,omitempty"`
	ContainerConfig Config    `json:"container_config,omitempty"`
	DockerVersion   string    `json:"docker_version,omitempty"`
	Author          string    `json:"author,omitempty"`
	Config          *Config   `json:"config,omitempty"`
	Architecture    string    `json:"architecture,omitempty"`
	Variant         string    `json:"variant,omitempty"`
	OS              string    `json:"os,omitempty"`
	Size            int64     `json:",omitempty"`
}

// RootFS lists the layers, bottom first.
type RootFS struct {
	Type    string          `json:"type"` // "layers"
	DiffIDs []digest.Digest `json:"diff_ids,omitempty"`
}

// History is one step of how the image came about. Steps that changed no file
// have EmptyLayer set; the others match RootFS.DiffIDs in order.
type History struct {
	Created    time.Time `json:"created,omitempty"`
	Author     string    `json:"author,omitempty"`
	CreatedBy  string    `json:"created_by,omitempty"`
	Comment    string    `json:"comment,omitempty"`
	EmptyLayer bool      `json:"empty_layer,omitempty"`
}

// An Image is a configuration with its id. Raw is what the id was computed from
// and what is stored; the other fields are what was understood of it.
type Image struct {
	V1
	RootFS     *RootFS   `json:"rootfs,omitempty"`
	History    []History `json:"history,omitempty"`
	OSVersion  string    `json:"os.version,omitempty"`
	OSFeatures []string  `json:"os.features,omitempty"`

	ImageID digest.Digest `json:"-"`
	Raw     []byte        `json:"-"`
}

// maxConfig bounds a configuration; the largest known ones have some 100 KiB.
const maxConfig = 8 << 20

// ParseImage reads a configuration and computes its id. It refuses what later
// steps would stumble over: other digests than sha256, and a history that does
// not match the layers.
func ParseImage(raw []byte) (*Image, error) {
	if len(raw) > maxConfig {
		return nil, fmt.Errorf("image configuration of %d bytes; at most %d are taken", len(raw), maxConfig)
	}
	img := &Image{Raw: raw, ImageID: digest.FromBytes(raw)}
	if err := json.Unmarshal(raw, img); err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	if img.RootFS == nil {
		return nil, fmt.Errorf("image configuration %s has no rootfs: not an image, or one from before Docker 1.10", img.ImageID)
	}
	for _, id := range img.RootFS.DiffIDs {
		if err := CheckDigest(id); err != nil {
			return nil, fmt.Errorf("image configuration %s: %w", img.ImageID, err)
		}
	}
	filled := 0
	for _, h := range img.History {
		if !h.EmptyLayer {
			filled++
		}
	}
	if len(img.History) > 0 && filled != len(img.RootFS.DiffIDs) {
		return nil, fmt.Errorf("image configuration %s: history has %d layers, rootfs %d", img.ImageID, filled, len(img.RootFS.DiffIDs))
	}
	return img, nil
}

// CheckDigest takes sha256 digests only: they become folder names below
// ".../sha256/".
func CheckDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %.80q: %w", string(d), err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %s: only sha256 is used here", d)
	}
	return nil
}

// Encode writes the configuration as Docker does, keys sorted, and sets Raw and
// ImageID.
func (img *Image) Encode() error {
	plain, err := json.Marshal(img)
	if err != nil {
		return err
	}
	if img.Raw, err = sortKeys(plain, nil); err != nil {
		return err
	}
	img.ImageID = digest.FromBytes(img.Raw)
	return nil
}

// sortKeys writes a JSON object again with its keys sorted, and some set.
func sortKeys(object []byte, set map[string]string) ([]byte, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(object, &keys); err != nil {
		return nil, err
	}
	for k, v := range set {
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		keys[k] = value
	}
	return json.Marshal(keys)
}

// ChainID names the image's whole stack of layers.
func (img *Image) ChainID() digest.Digest { return ChainID(img.RootFS.DiffIDs) }
