package vm

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// cloudPackage always depends on Debian's newest kernel for virtual machines: 27 MB
// against 70 MB of the general one, and nothing that a lab needs is missing.
const cloudPackage = "linux-image-cloud-amd64"

// offer is a package that apt can fetch: fields of its record in the package lists.
type offer struct {
	Package, Version, Arch, SHA256 string
	Size                           int64
}

// Name is the folder name in the cache. Versions may hold ":" and "~" but no "/".
func (o offer) Name() string { return o.Package + "_" + o.Version }

func (o offer) kernel() Kernel {
	return Kernel{Name: o.Name(), Arch: o.Arch, Source: "debian", Bytes: o.Size,
		Release: strings.TrimPrefix(o.Package, "linux-image-")}
}

// aptOffer asks the package lists on this machine for a kernel. A metapackage holds
// no files; its Depends names the package that does.
func aptOffer(ctx context.Context, name string) (offer, error) {
	for range 3 { // metapackages may point at metapackages, but not for ever
		record, err := aptShow(ctx, name)
		if err != nil {
			return offer{}, err
		}
		if next := kernelDepends(record["Depends"]); next != "" {
			name = next
			continue
		}
		return parseOffer(record)
	}
	return offer{}, fmt.Errorf("package %s leads to no kernel: its metapackages go in a circle", cloudPackage)
}

// aptShow reads the newest record of a package.
func aptShow(ctx context.Context, name string) (map[string]string, error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, "apt-cache", "show", "--no-all-versions", name)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return parseRecord(&out)
}

// parseRecord reads the first paragraph of a deb822(5) file: "Field: value" lines;
// a line that begins with a blank continues the one before.
func parseRecord(r io.Reader) (map[string]string, error) {
	record, field := map[string]string{}, ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			if len(record) > 0 {
				break
			}
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if field != "" {
				record[field] += "\n" + strings.TrimSpace(line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("package record: line %q has no colon", line)
		}
		field = name
		record[field] = strings.TrimSpace(value)
	}
	return record, lines.Err()
}

// kernelDepends finds "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)" in a list of
// dependencies. A kernel itself depends on no other kernel.
func kernelDepends(depends string) string {
	for _, one := range strings.FieldsFunc(depends, func(r rune) bool { return r == ',' || r == '|' }) {
		name, _, _ := strings.Cut(strings.TrimSpace(one), " ")
		if strings.HasPrefix(name, "linux-image-") {
			return name
		}
	}
	return ""
}

func parseOffer(record map[string]string) (offer, error) {
	o := offer{Package: record["Package"], Version: record["Version"], Arch: record["Architecture"], SHA256: record["SHA256"]}
	var err error
	o.Size, err = strconv.ParseInt(record["Size"], 10, 64)
	if err != nil || o.Package == "" || o.Version == "" || len(o.SHA256) != 64 || strings.Contains(o.Name(), "/") {
		return offer{}, fmt.Errorf("package record lacks Package, Version, Size or SHA256: %v", record)
	}
	return o, nil
}
