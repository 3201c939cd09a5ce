package api

import (
	"fmt"
	"strings"
)

// Dial finds the daemon at unix:///PATH.
func Dial(host string) (Backend, error) {
	path, is := strings.CutPrefix(host, "unix://")
	if !is || path == "" {
		return nil, fmt.Errorf("host %q: want unix:///PATH", host)
	}
	return nil, fmt.Errorf("host %q: no daemon", path)
}
