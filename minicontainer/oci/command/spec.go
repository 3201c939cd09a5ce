package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci"
)

// spec writes config.json as a start.
func (c *call) spec() *verb {
	v := newVerb("spec", "", "Write a config.json to begin with", 0, 0)
	bundle := v.String("bundle", ".", "folder to write it to")
	v.letter("b", "bundle")
	rootless := v.Bool("rootless", false, "for an ordinary user, in a user namespace")
	v.do = func([]string) error { return writeSpec(*bundle+"/config.json", *rootless) }
	return v
}

// unified says whether there are cgroups of version 2 only (statfs(2)).
func unified() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// writeSpec never writes over a file: it may be somebody's work.
func writeSpec(path string, rootless bool) error {
	spec := oci.Example(rootless)
	if !rootless && !unified() {
		// As runc has it: scripts add what they find missing.
		spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
			return n.Type == specs.CgroupNamespace
		})
	}
	text, err := json.MarshalIndent(spec, "", "\t")
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("file %s exists. Remove it first", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
