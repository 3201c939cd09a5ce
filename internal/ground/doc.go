// Package ground tells what a machine offers to stand on: which file systems
// can hold image layers, which of them cutaway will use, what is below the
// state folder and which version of control groups is mounted. It is what
// `docker info` says first, each line with where it was read.
package ground
