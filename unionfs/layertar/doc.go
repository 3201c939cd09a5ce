// Package layertar reads and writes layers as tar archives.
//
// # The story
//
// A layer travels as a tar of what changed. Added and changed files are in it as
// in any tar. Deletions are entries with reserved names, which the format took
// over from AUFS:
//
//	etc/hosts              the file was added or changed
//	etc/.wh.motd           etc/motd of a layer below was deleted (whiteout)
//	srv/.wh..wh..opq       all of srv of the layers below was deleted (opaque)
//
// Apply brings such a tar onto a disk in one of three forms:
//
//	Execute   deletions are carried out on a whole tree (vfs, btrfs, zfs, dm)
//	Overlay   whiteout = character device 0:0, opaque = xattr on the folder
//	AUFS      the names stay as they are
//
// # Why not "tar -x"
//
// A layer comes from a stranger and is unpacked by root. Every name in it is
// hostile until proven otherwise: "../../etc/passwd", a symbolic link "a -> /"
// followed by "a/etc/passwd", a hard link to /etc/shadow, a folder swapped for a
// link while we write. Checking strings first and opening later leaves a gap
// between the two. So here the kernel checks while it walks: every folder is
// opened with openat2(2) and RESOLVE_IN_ROOT, which treats the layer's root as
// "/" for "..", for absolute links and against renames in mid-walk, and every
// last component is made relative to that descriptor and never followed.
//
//	name        a/b/c
//	            ---   openat2(root, "a/b", O_PATH|O_DIRECTORY, RESOLVE_IN_ROOT)
//	                - openat(parent, "c", O_CREAT|O_EXCL|O_NOFOLLOW)
//
// Size, count and compression ratio have limits (see Limits), since a layer may
// also be a bomb.
//
// # What this is not
//
// Not a general tar tool: no sparse headers are written, sockets are left out
// (tar has no type for them), and access times are not kept.
//
// Further reading: openat2(2), tar(5), pax(1), the OCI image specification's
// layer.md.
package layertar
