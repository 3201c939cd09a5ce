package main

import (
	"bytes"
	"strings"
)

// defaultDetachKeys leave a container that one is attached to with a terminal.
const defaultDetachKeys = "ctrl-p,ctrl-q"

// parseKeys reads "ctrl-p,ctrl-q" or "x,y": the bytes that a terminal sends.
func parseKeys(text string) []byte {
	var keys []byte
	for _, key := range strings.Split(text, ",") {
		letter, ctrl := strings.CutPrefix(key, "ctrl-")
		switch {
		case letter == "":
		case ctrl:
			keys = append(keys, letter[0]&0x1f)
		default:
			keys = append(keys, letter[0])
		}
	}
	return keys
}

// keyWatch looks for the keys in what is typed. A first part of them is held
// back until it is known whether the rest follows.
type keyWatch struct {
	keys []byte
	held int
}

// take gives what is to be passed on, and whether the keys were complete.
func (k *keyWatch) take(in []byte) (out []byte, complete bool) {
	if len(k.keys) == 0 {
		return in, false
	}
	for _, b := range in {
		if b == k.keys[k.held] {
			if k.held++; k.held == len(k.keys) {
				return out, true
			}
			continue
		}
		out = append(out, k.keys[:k.held]...)
		k.held = 0
		if b == k.keys[0] {
			k.held = 1
			continue
		}
		out = append(out, b)
	}
	return bytes.Clone(out), false
}
