package contract

import (
	"archive/tar"
	"bytes"
	"fmt"
)

// crashTar is a layer of n small files in folders of ten.
func crashTar(n int) []byte {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for i := range n {
		if i%10 == 0 {
			tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%d/", i/10), Typeflag: tar.TypeDir, Mode: 0o755})
		}
		tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%d/f%d", i/10, i), Typeflag: tar.TypeReg, Size: 512, Mode: 0o644})
		tw.Write(make([]byte, 512))
	}
	tw.Close()
	return b.Bytes()
}
