package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"
)

// systemMachine returns the hardware's UUID, which macOS tells through its own program.
func systemMachine(func(string) string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice").Output()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(line, "="); ok && strings.Contains(name, `"IOPlatformUUID"`) {
			return strings.Trim(strings.TrimSpace(value), `"`), nil
		}
	}
	return "", errors.New("ioreg tells no IOPlatformUUID")
}
