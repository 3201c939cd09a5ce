// Package dmthin makes block devices out of other block devices: the kernel's
// device mapper, and on it the thin pools that Docker's devicemapper driver kept
// its layers in.
//
// # The story
//
// A mapped device is a table. Each line says: these sectors of mine are those
// sectors of that device, or an error, or zeros, or whatever the line's target
// makes of them. A program hands the table to the kernel with ioctls on one file,
// /dev/mapper/control; there is no other way in, and dmsetup(8) and LVM do the same.
//
// Two of the targets work as a pair. "thin-pool" owns two devices: one for data, cut
// in blocks of 64 KiB, and a small one for the trees that say which block belongs
// to whom. "thin" is a device of any size inside the pool; it takes a block when
// one is first written. A snapshot of a thin device starts with the same tree;
// only the first write to a block, on either side, gives that side its own copy.
//
//	 layer 1          layer 2 (snapshot of 1)      container (snapshot of 2)
//	+--------+        +--------+                   +--------+
//	| thin 1 |        | thin 2 |                   | thin 3 |     10 GiB each, in words
//	+---+----+        +---+----+                   +---+----+
//	    |                 |                            |
//	    v                 v                            v
//	+---------------------------------------------------------+
//	| thin-pool    data  [1][1][1][2][3][ ][ ][ ][ ][ ]       |  a block belongs to all
//	|              meta  trees: (thin, block) -> data block   |  that came after its
//	+---------+-----------------------------------+-----------+  writer, until written
//	          |                                   |
//	     data device                        metadata device
//	/dev/loop1 on a sparse file        /dev/loop0 on another      loop-lvm
//	95 % of a disk                     1 % of the same            direct-lvm
//
// # The kernel's vocabulary
//
//	sector     512 bytes, always, whatever the disk says
//	table      the lines of a device: start, length, target, parameters
//	live       the table at work; load fills the other, inactive slot, resume swaps them
//	suspend    hold back new IO and wait for what is under way
//	status     what a target says of itself now, as text
//	message    text for a target, such as "create_snap 2 1"
//	event      a counter that a target raises when something happened
//	low water  so few free blocks that the pool raises an event
//
// # In this directory
//
//	control.go, wire*.go                 one ioctl: a header, then what the verb takes or gives
//	verb_*.go, wait.go                   the verbs
//	table.go, target*.go                 table lines, written and read
//	status*.go                           status lines, read
//	node.go                              device nodes without udev
//	loop.go                              a file as a block device
//	store*.go                            what a pool stands on: two files, or one disk
//	pool*.go, autoextend.go              the pool and its thin devices
//	metadata*.go                         the pool's trees: which blocks are shared
//	error.go, explain.go                 what failed, and what each errno likely means
//
// # What this is not
//
// Not LVM: no volume groups, no on-disk description of them; what must be found
// again is in the kernel (names, UUIDs) or in the pool's own metadata. Nor does it
// repair metadata; that is thin_repair(8).
//
// Further reading: dmsetup(8), loop(4), lvmthin(7), and in the kernel's tree
// Documentation/admin-guide/device-mapper/ (thin-provisioning.rst, linear.rst,
// dm-flakey.rst, snapshot.rst) and include/uapi/linux/dm-ioctl.h.
package dmthin
