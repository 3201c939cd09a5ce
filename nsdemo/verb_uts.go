package nsdemo

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

type hostnameRequest struct{ Name string }

var (
	askSetHostname = verb("ns.sethostname", nothing(setHostname))
	askHostname    = verb("ns.hostname", func(context.Context, none) (string, error) { return Hostname() })
)

// SetHostname calls sethostname(2) inside. In the host's uts namespace it is
// tried only from another user namespace, where the kernel answers EPERM.
func (p *Process) SetHostname(ctx context.Context, name string) error {
	_, err := askSetHostname(ctx, p, hostnameRequest{name})
	return err
}

func setHostname(r hostnameRequest) error {
	if err := refuseOwnPower(UTS); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(r.Name)); err != nil {
		return fmt.Errorf("sethostname(%q): %w", r.Name, err)
	}
	return nil
}

// Hostname asks uname(2) inside.
func (p *Process) Hostname(ctx context.Context) (string, error) {
	return askHostname(ctx, p, none{})
}

// Hostname asks uname(2) for the caller's own uts namespace.
func Hostname() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(u.Nodename[:]), nil
}
