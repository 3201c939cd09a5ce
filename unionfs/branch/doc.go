// Package branch reads a stack of difference folders the way overlayfs and AUFS
// do, without mounting it: what does the top folder change in what lies below?
//
//	upper   etc/motd      char 0:0 or etc/.wh.motd     a deletion
//	        srv/          opaque                       nothing below counts
//	        bin/new       a file                       added or changed?
//	lower1  bin/old   etc/motd
//	lower2  bin/new   srv/index.html                   bin/new: changed
//
// Whether a file of the upper folder is new or a change is not written anywhere:
// one has to look through the lower folders, from the top, and stop where the
// kernel would stop. Lookup does that; Changes walks the upper folder with it.
//
// The upper folder belongs to a container that may be running and may swap
// folders for links while we walk, so it is read through os.Root.
//
// Kernel text: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
// directories".
package branch
