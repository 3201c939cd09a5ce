package netdemo

import (
	"os"
	"strings"
)

func sysctlPath(key string) string {
	return procRoot + "/sys/" + strings.ReplaceAll(key, ".", "/")
}

// ReadSysctl reads /proc/sys/<key> as a process inside ns sees it. Settings below net. belong to the
// namespace of the thread that opens the file. Dots in key separate folders ("net.ipv4.ip_forward").
func ReadSysctl(ns *Namespace, key string) (string, error) {
	var text []byte
	err := ns.Do(func() (err error) {
		text, err = os.ReadFile(sysctlPath(key))
		return err
	})
	return strings.TrimSpace(string(text)), wrap("read sysctl", key, err)
}

// WriteSysctl writes /proc/sys/<key> in ns. See Documentation/networking/ip-sysctl.rst.
func WriteSysctl(ns *Namespace, key, value string) error {
	return wrap("write sysctl", key+"="+value, ns.Do(func() error {
		return os.WriteFile(sysctlPath(key), []byte(value), 0)
	}))
}
