// Package assets holds the texts that cutaway shows, embedded in the binary.
//
//	labs/<lang>/NN-name.md   the prose of a lab, a section for each step
//	words/<lang>*.txt        the program's own sentences, "- english :: translation"
//	experiments.txt          the ids of all experiments with their labs
//	image/<layer>/...        files of the built-in images, a folder for each layer
//
// It imports nothing and knows nothing of their format.
package assets

import "embed"

// Files are the embedded files.
//
//go:embed labs words experiments.txt image
var Files embed.FS
