package labs

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"cutaway/labs/bench"
	"cutaway/unionfs"
	"cutaway/unionfs/driver"
	"cutaway/unionfs/image"
	"cutaway/unionfs/layertar"
)

// What Docker keeps on disk for an image of two layers and for a container of
// it. The drivers of both labs on layers make it from the same files.

var dockerImage = [][]image.File{
	{{Name: "etc/motd", Mode: 0o644, Data: []byte("from image1\n")}, {Name: "etc/issue", Mode: 0o644, Data: []byte("from image1\n")}},
	{{Name: "etc/motd", Mode: 0o644, Data: []byte("from image2\n")}, {Name: "opt/tool", Mode: 0o755, Data: []byte("from image2\n")}},
}

// openLayers opens a store as Docker has one below its root folder.
func openLayers(b *bench.Bench, root, name string) (unionfs.Driver, error) {
	return driver.Open(b.Path(root), name, driver.Options{})
}

// newLayerID is the shell for unionfs.NewID: 64 random hexadecimal digits.
const newLayerID = `$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')`

var od = bench.Tool{Program: "od", Package: "coreutils"}

// createImage makes the layers of the image, the bottom one first, as a pull
// does: an empty layer on its parent, then the layer's tar into it.
func createImage(d unionfs.Driver) error {
	parent := ""
	for _, files := range dockerImage {
		id := unionfs.NewID()
		if err := d.Create(id, parent, unionfs.CreateOptions{}); err != nil {
			return err
		}
		var tar bytes.Buffer
		if err := image.WriteFiles(&tar, files, time.Unix(0, 0)); err != nil {
			return err
		}
		if _, err := d.Apply(id, &tar, layertar.Limits{}); err != nil {
			return err
		}
		parent = id
	}
	return nil
}

// createContainer makes a container's two layers on top of an image and mounts
// the upper one. The lower one, "-init", is filled while it is mounted, so that
// what the image has already is not made again.
func createContainer(d unionfs.Driver, top string) error {
	id := unionfs.NewID()
	init := id + "-init"
	if err := d.Create(init, top, unionfs.CreateOptions{}); err != nil {
		return err
	}
	m, err := d.Mount(init, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	if err := errors.Join(image.FillInitLayer(m.Path), m.Release()); err != nil {
		return err
	}
	if err := d.Create(id, init, unionfs.CreateOptions{}); err != nil {
		return err
	}
	_, err = d.Mount(id, unionfs.MountOptions{})
	return err
}

// fillInitLines is the shell for image.FillInitLayer on an image that has none
// of these files.
func fillInitLines(dir string) []string {
	return []string{
		fmt.Sprintf("(cd %s && mkdir -p dev/pts dev/shm proc sys etc)", dir),
		fmt.Sprintf("(cd %s && touch .dockerenv dev/console etc/hosts etc/hostname etc/resolv.conf && ln -s /proc/mounts etc/mtab)", dir),
	}
}
