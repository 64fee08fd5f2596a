// Command client does to LeaderWorkerSets what Go programs of others do: with the typed client of the reference, and
// with controller-runtime's. It ends with the first thing that is refused, lost or not answered, and says which.
//
// The last line of its output is a JSON object: what was done, and the members of stored objects that its types do not
// know.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const patience = 60 * time.Second

type report struct {
	Done    []string `json:"done"`
	Unknown []string `json:"unknown"`
}

type step struct {
	name string
	do   func(context.Context) error
}

// unknown notes members that were stored and that our types have no place for.
func (r *report) unknown(paths []string) {
	for _, each := range paths {
		if !slices.Contains(r.Unknown, each) {
			r.Unknown = append(r.Unknown, each)
		}
	}
	slices.Sort(r.Unknown)
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of the cluster")
	namespace := flag.String("namespace", "default", "to work in")
	flag.Parse()
	if err := run(*kubeconfig, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kubeconfig, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, -1
	told := &report{Unknown: []string{}}
	for _, steps := range []func(*rest.Config, string, *report) ([]step, error){typedSteps, runtimeSteps} {
		found, err := steps(config, namespace, told)
		if err != nil {
			return err
		}
		for _, each := range found {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			err := each.do(ctx)
			cancel()
			if err != nil {
				return fmt.Errorf("%s: %w", each.name, err)
			}
			told.Done = append(told.Done, each.name)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}
