// Package erofs writes a read-only file system image that the kernel's EROFS driver
// mounts: files, folders and symbolic links, uncompressed.
//
// A guest gets its programs and modules on such an image instead of in its
// initramfs. An initramfs is copied into memory as a whole before anything runs; of an
// image the kernel reads the few pages that somebody looks at.
//
//	byte 0        1024          1152                            block n
//	+-------------+-------------+---------------------------+---+------------------+
//	| unused      | superblock  | inodes, 32 bytes each;    |   | folders and      |
//	| (boot code) | 128 bytes   | a link's target follows   |   | files, whole     |
//	|             |             | its inode                 |   | blocks of 4 KiB  |
//	+-------------+-------------+---------------------------+---+------------------+
//
// The words of the format:
//
//   - nid: the number of an inode is its place, in units of 32 bytes from byte 0. There
//     is no inode table: an inode may lie anywhere.
//   - compact inode: the 32-byte form, for files below 4 GiB and ids below 65536.
//   - flat plain: a file's blocks lie side by side; the inode names the first.
//   - flat inline: what does not fill a block lies right behind the inode. It must not
//     cross a block's end.
//   - directory block: first the entries of 12 bytes, then their names. The place of
//     the first name tells how many entries there are. Names are sorted by byte, so
//     that the kernel can look for one by halving, first among blocks, then inside one.
//
// What this is not: a replacement of mkfs.erofs(1), which compresses, shares equal
// data, keeps owners, times and extended attributes. Here root owns everything, and
// everything is as old as the image.
//
// See Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h, mkfs.erofs(1),
// fsck.erofs(1), dump.erofs(1).
package erofs
