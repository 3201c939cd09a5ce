// Package registry moves images between the store and a registry, by the OCI
// distribution protocol (HTTP). It stands apart from package image because the
// modules it needs cost start-up time that a container start should not pay.
//
//	GET /v2/<name>/manifests/<tag>      which configuration, which layers
//	GET /v2/<name>/blobs/<digest>       the configuration: its digest is the image id
//	GET /v2/<name>/blobs/<digest>       each layer, compressed, that is not here yet
//
// Everything is asked for by the digest of its content and checked against it
// twice: the compressed bytes against the manifest, the unpacked ones against
// the configuration's diff id. So it does not matter who delivered them.
//
// A layer that is here already, in the same place of a stack, is known by its
// chain id before one byte of it is fetched.
package registry
