package nsdemo

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

func init() { verb("ns.reboot", nothing(reboot)) }

// reboot is safe three times over. The kernel asks for CAP_SYS_BOOT in the user
// namespace that owns the pid namespace before it looks at the command, so the
// harmless CAD_OFF (who handles Ctrl-Alt-Del) gets the same answer as RESTART.
// Beyond the initial pid namespace, a reboot would end that namespace only
// (reboot(2)). And in the initial ones it is not tried at all.
func reboot(none) error {
	if err := errors.Join(refuseInitial(PID), refuseInitial(User)); err != nil {
		return err
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		return fmt.Errorf("reboot(LINUX_REBOOT_CMD_CAD_OFF): %w", err)
	}
	return nil
}
