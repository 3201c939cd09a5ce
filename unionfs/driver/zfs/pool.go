package zfs

import (
	"fmt"
	"os/exec"
	"strings"
)

// Pool is what zpool(8) says of the store below all datasets.
type Pool struct {
	Health  string   // "ONLINE" when all is well
	Devices []string // the files or disks that it stands on
}

// ReadPool asks zpool(8): `zpool list` for the health, `zpool status` for the devices.
func ReadPool(name string) (Pool, error) {
	health, err := runZpool("list", "-H", "-o", "health", name)
	if err != nil {
		return Pool{}, err
	}
	status, err := runZpool("status", name)
	if err != nil {
		return Pool{}, err
	}
	return Pool{Health: strings.TrimSpace(health), Devices: parseDevices(name, status)}, nil
}

func runZpool(args ...string) (string, error) {
	cmd := exec.Command("zpool", args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("zpool %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// parseDevices reads the table behind "config:", in which devices stand indented
// below the pool's name, with five columns each.
func parseDevices(pool, status string) []string {
	_, table, _ := strings.Cut(status, "config:")
	table, _, _ = strings.Cut(table, "errors:")
	var devices []string
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) >= 5 && words[0] != "NAME" && words[0] != pool {
			devices = append(devices, words[0])
		}
	}
	return devices
}
