package oci

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal out of the container's own devpts: the slave
// side becomes standard input, output and error, the master side goes to who
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
	defer slave.Close()
	if size := b.process.ConsoleSize; size != nil {
		ws := unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)}
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &ws); err != nil {
			return fmt.Errorf("ioctl TIOCSWINSZ: %w", err)
		}
	}
	if !b.Exec {
		if err := b.root.BindConsole(slave); err != nil {
			return err
		}
	}
	if err := sendMaster(b.Console, master); err != nil {
		return err
	}
	return takeTerminal(slave)
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
func sendMaster(socket int, master *os.File) error {
	rights := unix.UnixRights(int(master.Fd()))
	if err := unix.Sendmsg(socket, []byte(master.Name()), rights, nil, 0); err != nil {
		return fmt.Errorf("send the terminal to the console socket: %w", err)
	}
	return unix.Close(socket)
}

// takeTerminal makes it the controlling terminal of this session (TIOCSCTTY)
// and the three standard files.
func takeTerminal(slave *os.File) error {
	if err := unix.IoctlSetInt(int(slave.Fd()), unix.TIOCSCTTY, 0); err != nil {
		return fmt.Errorf("ioctl TIOCSCTTY: %w", err)
	}
	for fd := range 3 {
		if err := unix.Dup3(int(slave.Fd()), fd, 0); err != nil {
			return fmt.Errorf("dup3 onto %d: %w", fd, err)
		}
	}
	return nil
}
