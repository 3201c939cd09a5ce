package oci

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal out of the container's own devpts: the slave
// side will be standard input, output and error, the master side goes to who
// asked for it. Nothing is found by name: a path such as /dev/pts/0 could be
// something else by the time it is used (CVE-2025-52565).
func (b *box) openTerminal() error {
	if !b.process.Terminal {
		return nil
	}
	master, err := b.root.OpenMaster()
	if err != nil {
		return err
	}
	defer master.Close()
	slave, err := openSlave(master)
	if err != nil {
		return err
	}
	b.slave = slave
	if size := b.process.ConsoleSize; size != nil {
		ws := unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)}
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &ws); err != nil {
			return fmt.Errorf("ioctl TIOCSWINSZ: %w", err)
		}
	}
	if !b.joins {
		if err := b.root.BindConsole(slave); err != nil {
			return err
		}
	}
	return sendMaster(b.console, master)
}

// openSlave unlocks the pair and opens its other side by the master itself
// (ioctl_tty(2), TIOCSPTLCK, TIOCGPTPEER).
func openSlave(master *os.File) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("ioctl TIOCSPTLCK: %w", err)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, fmt.Errorf("ioctl TIOCGPTPEER: %w", errno)
	}
	return os.NewFile(fd, "terminal"), nil
}

// sendMaster passes the descriptor over the console socket (unix(7), SCM_RIGHTS).
func sendMaster(socket, master *os.File) error {
	rights := unix.UnixRights(int(master.Fd()))
	if err := unix.Sendmsg(int(socket.Fd()), []byte(master.Name()), rights, nil, 0); err != nil {
		return fmt.Errorf("send the terminal to the console socket: %w", err)
	}
	return socket.Close()
}
