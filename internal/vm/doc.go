// Package vm boots a throwaway Linux kernel in QEMU and runs commands in it.
//
// Many machines cannot perform every lab: no root, another system's kernel, or a
// kernel without what a lab needs. This package borrows a kernel that has it.
// Nothing is installed, and nothing is left behind but a cache.
//
//	  the person's machine                    the guest
//	+------------------------+            +-----------------------------+
//	| cutaway vm run -- CMD  |            | kernel (Debian's, or yours) |
//	|   Machine.Run          |  frames    |   |  /init = cutaway, PID 1 |
//	|     link  <============|============|=> agent  /dev/vport0p1      |
//	|   console watcher <----|--- ttyS0 --|-- printk, panic             |
//	|   cache: /usr's image -|- virtio ---|-> /usr, EROFS, read-only    |
//	+---------|--------------+            |   |-- CMD (own session)     |
//	          | fork, Pdeathsig           |   |-- /sbin/modprobe        |
//	     qemu-system-x86_64 -------------> +-----------------------------+
//
// The chapter reads in this order:
//
//   - a kernel:    kernel.go, prepare.go, debian.go, apt.go, deb.go, ar.go, image.go, cache.go
//   - its modules: modinfo.go, modules.go
//   - a userland:  lists.go, programs.go, initramfs.go, identity.go, rootfs.go, cpio.go, pack.go,
//     disk.go, package erofs
//   - a machine:   qemu.go, accel.go, process.go, console.go, machine.go, explain.go
//   - its memory:  keep.go, monitor.go
//   - the wire:    frame.go, window.go, link.go, message.go, run.go
//   - the guest:   guest.go, setup.go, modprobe.go, reap.go, agent.go, task.go, spare.go, wake.go
//
// Words used here:
//
//   - initramfs: an archive that the kernel unpacks into its first file system;
//     /init in it becomes PID 1 (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
//   - newc: the cpio format of that archive (Documentation/driver-api/early-userspace/buffer-format.rst).
//   - TCG: QEMU's own interpreter of machine code; needs no /dev/kvm, is ~20 times slower.
//   - EROFS: a read-only file system. /usr lies on a disk with one, so that a guest
//     reads what it uses; a kernel that has no erofs and virtio_blk gets all in its
//     initramfs (Documentation/filesystems/erofs.rst).
//   - PVH: a way to enter an uncompressed kernel directly in 32-bit mode
//     (include/xen/interface/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY). It spares the
//     guest the decompression of its own kernel, which TCG makes slow.
//   - migration: QEMU writes a stopped machine to a file, and another QEMU goes on from
//     there (docs/devel/migration.rst of QEMU). With TCG only the first start of a
//     machine is one from power-on; the others resume its memory, in a third of a second.
//   - virtio-serial: a byte pipe between host and guest without a network
//     (drivers/char/virtio_console.c).
//
// What this is not: a way to keep a VM, to give it a network or a disk with data.
// Closing a Machine is pulling the plug.
//
// See qemu(1), init(1), modprobe(8), deb(5), cpio(5), bootparam(7).
package vm
