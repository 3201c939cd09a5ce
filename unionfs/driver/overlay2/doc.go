// Package overlay2 keeps one folder of differences per layer and lets the
// kernel's overlayfs merge them. On disk it is Docker's overlay2:
//
//	overlay2/
//	  l/QV3ZK...26 chars  -> ../<id>/diff     short names, see link.go
//	  <id>/diff/                              the layer's differences
//	  <id>/link                               its short name
//	  <id>/lower                              l/A:l/B:l/C, nearest layer first
//	  <id>/work/                              overlayfs's scratch folder
//	  <id>/merged/                            the mount point, while mounted
//	  <id>/committed                          another layer stands on this one
//
// A mount then is
//
//	mount -t overlay overlay -o index=off,lowerdir=l/A:l/B,upperdir=<id>/diff,workdir=<id>/work <id>/merged
//
// A bottom layer has neither lower nor work nor merged: there is nothing to
// merge, and its diff folder is the tree.
//
// Kernel text: Documentation/filesystems/overlayfs.rst.
package overlay2
