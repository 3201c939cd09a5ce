package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cutaway/internal/size"
	"cutaway/unionfs/driver"
)

// optionNames are what --storage-opt takes, named as Docker names them.
var optionNames = []string{"dm.basesize", "dm.fs", "zfs.fsname"}

// ParseOptions reads --storage-opt, such as "zfs.fsname=tank/cutaway" or
// "dm.basesize=10G".
func ParseOptions(list []string) (driver.Options, error) {
	var o driver.Options
	for _, text := range list {
		key, value, ok := strings.Cut(text, "=")
		if !ok || value == "" || !slices.Contains(optionNames, key) {
			return o, fmt.Errorf("--storage-opt %s: want KEY=VALUE with one of %s", text, strings.Join(optionNames, ", "))
		}
		var err error
		switch key {
		case "dm.basesize":
			o.DeviceMapper.BaseSize, err = parseSize(value)
		case "dm.fs":
			o.DeviceMapper.FileSystem = value
		case "zfs.fsname":
			o.Dataset = value
		}
		if err != nil {
			return o, fmt.Errorf("--storage-opt %s: %w", text, err)
		}
	}
	return o, nil
}

// parseSize reads "10G", "512m", "1048576": bytes, with powers of 1024.
func parseSize(text string) (uint64, error) {
	n, err := size.Parse(text)
	if err == nil && n == 0 {
		err = errors.New("it has to be more than nothing")
	}
	if err != nil {
		return 0, fmt.Errorf("size %q: %w", text, err)
	}
	return uint64(n), nil
}
