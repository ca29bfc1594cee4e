package main

import (
	"errors"

	"golang.org/x/sys/windows/registry"
)

// systemMachine returns the id that Windows made when it was installed.
func systemMachine(func(string) string) (id string, err error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, key.Close()) }()
	id, _, err = key.GetStringValue("MachineGuid")
	return id, err
}
