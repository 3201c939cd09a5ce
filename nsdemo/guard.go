package nsdemo

import "fmt"

// refuseInitial keeps an attempt that must fail from being made where it might
// succeed: as the host's root in the host's own namespace.
func refuseInitial(k Kind) error {
	pid, err := ownPidIn("/proc")
	if err != nil {
		return fmt.Errorf("refused, since it cannot be told which %s namespace this is: %w", k, err)
	}
	id, err := ID("/proc", pid, k)
	if err != nil {
		return fmt.Errorf("refused, since it cannot be told which %s namespace this is: %w", k, err)
	}
	if k.IsInitial(id) {
		return fmt.Errorf("refused: this is the initial %s namespace, where it could succeed and change the host", k)
	}
	return nil
}

// refuseOwnPower asks for a non-initial user namespace, or else for one of kind k
// of its own: then a change stays within.
func refuseOwnPower(k Kind) error {
	if refuseInitial(User) == nil {
		return nil // the host's objects are safe by the kernel's own check
	}
	return refuseInitial(k)
}
