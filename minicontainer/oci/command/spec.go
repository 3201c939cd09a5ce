package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

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

// writeSpec never writes over a file: it may be somebody's work.
func writeSpec(path string, rootless bool) error {
	text, err := json.MarshalIndent(oci.Example(rootless), "", "\t")
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
