package image

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A Reference names an image in a registry:
//
//	docker.io/library/alpine:3.20@sha256:...
//	domain    path           tag  digest
//
// What people type leaves out most of it. "alpine" means
// docker.io/library/alpine:latest. The first part counts as a domain only if it
// has a "." or ":" or is "localhost"; otherwise "user/app" could not be told
// from "host/app".
type Reference struct {
	Domain string
	Path   string
	Tag    string
	Digest digest.Digest
}

const (
	defaultDomain = "docker.io"
	officialRepo  = "library/"
	defaultTag    = "latest"
)

// ParseReference reads what people type. Without tag and digest it takes the
// tag "latest".
func ParseReference(s string) (Reference, error) {
	var r Reference
	rest, dig, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		r.Digest = digest.Digest(dig)
		if err := CheckDigest(r.Digest); err != nil {
			return r, fmt.Errorf("image name %q: %w", s, err)
		}
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, r.Tag = rest[:i], rest[i+1:]
		if !validTag(r.Tag) {
			return r, fmt.Errorf("image name %q: tag %q: want up to 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'", s, r.Tag)
		}
	}
	r.Domain, r.Path = splitDomain(rest)
	if !validDomain(r.Domain) {
		return r, fmt.Errorf("image name %q: %q is not a host name", s, r.Domain)
	}
	if err := checkPath(r.Path); err != nil {
		return r, fmt.Errorf("image name %q: %w", s, err)
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = defaultTag
	}
	return r, nil
}

func splitDomain(s string) (domain, path string) {
	first, rest, found := strings.Cut(s, "/")
	if !found || !strings.ContainsAny(first, ".:") && first != "localhost" {
		first, rest = defaultDomain, s
	}
	if first == "index.docker.io" { // Docker Hub's old name
		first = defaultDomain
	}
	if first == defaultDomain && !strings.Contains(rest, "/") {
		rest = officialRepo + rest
	}
	return first, rest
}

// Repository is the name without tag and digest, as people write it:
// "alpine", "user/app", "localhost:5000/app".
func (r Reference) Repository() string {
	if r.Domain != defaultDomain {
		return r.Domain + "/" + r.Path
	}
	return strings.TrimPrefix(r.Path, officialRepo)
}

// Name is Repository with the tag, or the digest if there is one: the keys of
// repositories.json.
func (r Reference) Name() string {
	if r.Digest != "" {
		return r.Repository() + "@" + r.Digest.String()
	}
	return r.Repository() + ":" + r.Tag
}

// String is the full form, nothing left out.
func (r Reference) String() string {
	s := r.Domain + "/" + r.Path
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}

func checkPath(path string) error {
	if len(path) > 255 {
		return fmt.Errorf("repository of %d characters; at most 255 are allowed", len(path))
	}
	if name := strings.TrimPrefix(path, officialRepo); len(name) == 64 && isHex(name) {
		return fmt.Errorf("64 hexadecimal digits are an image id, not a name")
	}
	for _, part := range strings.Split(strings.TrimPrefix(path, officialRepo), "/") {
		if !validComponent(part) {
			return fmt.Errorf("%q: want lower-case letters and digits, parted by '.', '_', '__' or '-'", part)
		}
	}
	return nil
}

// validComponent takes [a-z0-9]+ runs with ".", "_", "__" or any number of "-"
// between.
func validComponent(s string) bool {
	if s == "" || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && !alnum(s[j]) {
			j++
		}
		switch sep := s[i:j]; {
		case sep == "", sep == ".", sep == "_", sep == "__", strings.Trim(sep, "-") == "":
		default:
			return false
		}
		i = j + 1
	}
	return true
}

func alnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func validTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}

func validDomain(s string) bool {
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return false
		}
	}
	return true
}

func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }
