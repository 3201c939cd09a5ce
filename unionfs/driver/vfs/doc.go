// Package vfs keeps a whole copy of the tree per layer. It needs nothing from
// the kernel, and shows what all the other drivers save:
//
//	vfs/dir/<id>/     the complete tree of the layer and all below it
//
// Where the file system shares blocks between files (btrfs, XFS with reflink)
// the copy is made with FICLONE and costs no data blocks, only inodes.
//
// There is nothing to mount, and a difference is found by comparing whole trees
// (package treediff).
package vfs
