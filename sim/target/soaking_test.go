//go:build soak

package target

const soaking = true
