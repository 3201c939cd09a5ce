// Package aufs keeps one folder of differences per layer, as overlay2 does, for
// the older union file system AUFS. On disk it is Docker's aufs:
//
//	aufs/diff/<id>/      the layer's differences, deletions as .wh. files
//	aufs/layers/<id>     the ids below it, one per line, nearest first
//	aufs/mnt/<id>/       the mount point, empty while not mounted
//
// A mount names the folders as branches, the writable one first:
//
//	br:diff/<id>=rw:diff/<parent>=ro+wh:diff/<grandparent>=ro+wh
//
// Who does the mount, AUFS in the kernel or cutaway's own in user space, is not
// this package's affair: it is given a Mounter. The marks of deletions are those
// of layer tars, so a layer is unpacked and packed without translating them.
package aufs
