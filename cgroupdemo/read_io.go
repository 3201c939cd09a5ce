package cgroupdemo

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// DeviceIO is what a group read from and wrote to one block device.
type DeviceIO struct {
	Major, Minor          uint32
	ReadBytes, WriteBytes uint64
	Reads, Writes         uint64 // requests
}

// IO reads the counters of every block device that the group has used:
// blkio.throttle.io_service_bytes_recursive and io_serviced_recursive on
// version 1, io.stat on version 2. A device without traffic has no line. Version
// 1 counts only while a throttle is set somewhere on the way up; version 2 always.
func (g *Group) IO() Reading[[]DeviceIO] {
	p, err := g.Place(IO)
	if err != nil {
		return failed[[]DeviceIO](err)
	}
	if p.Version == V2 {
		return convert(ReadText(p.Dir, "io.stat"), ParseIOStat)
	}
	bytes := recursive(p.Dir, "blkio.throttle.io_service_bytes")
	count := recursive(p.Dir, "blkio.throttle.io_serviced")
	return convert(bytes, func(text string) ([]DeviceIO, error) { return ParseBlkio(text, count.Value) })
}

// recursive prefers the file that counts the groups below too (Linux 4.15).
func recursive(dir, file string) Reading[string] {
	if r := ReadText(dir, file+"_recursive"); !errors.Is(r.Err, os.ErrNotExist) {
		return r
	}
	return ReadText(dir, file)
}

// ParseIOStat reads version 2's io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...".
// Keys it does not know (dbytes, cost.usage) are passed over.
func ParseIOStat(text string) ([]DeviceIO, error) {
	var list []DeviceIO
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		word := strings.Fields(lines.Text())
		if len(word) == 0 {
			continue
		}
		d, err := parseDevice(word[0])
		if err != nil {
			return nil, err
		}
		into := map[string]*uint64{"rbytes": &d.ReadBytes, "wbytes": &d.WriteBytes, "rios": &d.Reads, "wios": &d.Writes}
		for _, w := range word[1:] {
			key, value, _ := strings.Cut(w, "=")
			if field := into[key]; field != nil {
				if *field, err = strconv.ParseUint(value, 10, 64); err != nil {
					return nil, fmt.Errorf("line %q: %w", lines.Text(), err)
				}
			}
		}
		list = append(list, d)
	}
	return list, lines.Err()
}

// ParseBlkio reads version 1's pair of files: lines "8:0 Read 4096" with the
// operations Read, Write, Sync, Async, Discard and Total, and a "Total 4096" at
// the end. count is the same with requests in place of bytes.
func ParseBlkio(bytes, count string) ([]DeviceIO, error) {
	var list []DeviceIO
	seen := map[string]int{}
	each := func(text string, read, write func(*DeviceIO) *uint64) error {
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			word := strings.Fields(lines.Text())
			if len(word) != 3 || word[1] != "Read" && word[1] != "Write" {
				continue
			}
			d, err := parseDevice(word[0])
			n, bad := strconv.ParseUint(word[2], 10, 64)
			if err := errors.Join(err, bad); err != nil {
				return fmt.Errorf("line %q: %w", lines.Text(), err)
			}
			i, known := seen[word[0]]
			if !known {
				i = len(list)
				seen[word[0]], list = i, append(list, d)
			}
			field := read
			if word[1] == "Write" {
				field = write
			}
			*field(&list[i]) = n
		}
		return lines.Err()
	}
	err := errors.Join(
		each(bytes, func(d *DeviceIO) *uint64 { return &d.ReadBytes }, func(d *DeviceIO) *uint64 { return &d.WriteBytes }),
		each(count, func(d *DeviceIO) *uint64 { return &d.Reads }, func(d *DeviceIO) *uint64 { return &d.Writes }))
	return list, err
}

func parseDevice(text string) (DeviceIO, error) {
	major, minor, ok := strings.Cut(text, ":")
	a, errA := strconv.ParseUint(major, 10, 32)
	b, errB := strconv.ParseUint(minor, 10, 32)
	if err := errors.Join(errA, errB); err != nil || !ok {
		return DeviceIO{}, fmt.Errorf("%q is no device: want major:minor", text)
	}
	return DeviceIO{Major: uint32(a), Minor: uint32(b)}, nil
}
