// Reads a dashboard from standard input and holds it to Grafana's own schema: unknown members, wrong types and
// values out of range are printed, one a line, and end it with status 1.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = check(text)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func check(text []byte) error {
	plugins.RegisterDefaultPlugins() // what each kind of panel and data source may have
	var read dashboard.Dashboard
	return errors.Join(found(read.UnmarshalJSONStrict(text)), found(read.Validate()))
}

// found is what is wrong: the package answers with an empty list of faults where there is none.
func found(err error) error {
	var faults cog.BuildErrors
	if errors.As(err, &faults) && len(faults) == 0 {
		return nil
	}
	return err
}
