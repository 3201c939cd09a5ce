package unionfs

import (
	"fmt"
	"strings"

	"cutaway/internal/randomid"
)

// NewID returns 64 hexadecimal digits of randomness, the shape of Docker's
// cache ids and container ids. Random and not derived from the content: the
// same layer pulled twice must not meet its own half-removed folder.
func NewID() string { return randomid.New() }

// CheckID refuses ids that are not one plain path component. An id becomes a
// folder name, a btrfs subvolume name and a zfs dataset name, so the set of
// characters is the one that all of them take.
func CheckID(id string) error {
	if id == "" || len(id) > 200 {
		return fmt.Errorf("layer id %q: want 1 to 200 characters", id)
	}
	for _, c := range id {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", c) {
			return fmt.Errorf("layer id %q: character %q is not allowed (letters, digits, '_', '-' and '.' are)", id, c)
		}
	}
	if id[0] == '.' || id[0] == '-' {
		return fmt.Errorf("layer id %q: must not begin with %q", id, id[0])
	}
	if strings.HasSuffix(id, creating) || strings.HasSuffix(id, removing) {
		return fmt.Errorf("layer id %q: the endings %q and %q mark unfinished work", id, creating, removing)
	}
	return nil
}
