package update

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"uplevel/internal/api"
	"uplevel/internal/plan"
)

// InstallationID is the name an installation has in reports: a keyed hash of the pack's
// random id, the machine's and the home's path. It is computed at each report and
// stored nowhere, so that a pack shipped to many servers is seen on each of them.
func InstallationID(pack, machine, home string) string {
	mac := hmac.New(sha256.New, []byte(pack))
	for _, part := range []string{"uplevel installation 1", machine, home} {
		// Each part ends with a byte that none can hold: no two look alike.
		_, _ = io.WriteString(mac, part)
		_, _ = mac.Write([]byte{0})
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// report tells the service of a change that was committed. That it cannot be told is
// said in the result and is no failure: the change is done.
func (u *Updater) report(ctx context.Context, res *Result) {
	if u.Service == nil {
		return
	}
	machine := ""
	if u.Machine != nil {
		id, err := u.Machine()
		if err != nil {
			u.Log.Info("this machine has no id", "error", err)
		}
		machine = id
	}
	state := u.Home.State()
	err := u.Service.Report(ctx, api.Report{
		Installation: InstallationID(state.Pack, machine, u.Home.Dir()), Host: u.Host,
		Product: state.Product, Version: state.Version, Channel: state.Channel, Level: state.Level,
		Hotfixes: append([]string(nil), plan.Names(state.Hotfixes)...), Customised: len(res.Files.Customised), Missing: len(res.Files.Absent),
		Operation: res.Operation, Outcome: "ok", FromLevel: res.From.Level, Tool: u.Tool, OS: u.System,
	})
	if err != nil {
		u.Log.Warn("report was not delivered", "error", err)
		res.ReportError = err.Error()
		return
	}
	res.Reported = true
}
