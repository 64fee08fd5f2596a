package main

import (
	"context"
	"fmt"

	autoscaling "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applymeta "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	lws "sigs.k8s.io/lws/api/leaderworkerset/v1"
	apply "sigs.k8s.io/lws/client-go/applyconfiguration/leaderworkerset/v1"
	"sigs.k8s.io/lws/client-go/clientset/versioned"
	client "sigs.k8s.io/lws/client-go/clientset/versioned/typed/leaderworkerset/v1"
)

const (
	checked = "client.example.com/Checked"
	manager = "client"
	typed   = "typed"
)

var served = lws.SchemeGroupVersion.WithResource("leaderworkersets")

// typedClient is the reference's, and what stands beside it to see what it does not.
type typedClient struct {
	sets   client.LeaderWorkerSetInterface
	raw    dynamic.ResourceInterface
	scales scale.ScalesGetter
	space  string
	report *report
}

func typedSteps(config *rest.Config, namespace string, told *report) ([]step, error) {
	sets, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	raw, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	scales, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(found))
	if err != nil {
		return nil, err
	}
	c := &typedClient{
		sets: sets.LeaderworkersetV1().LeaderWorkerSets(namespace), raw: raw.Resource(served).Namespace(namespace),
		scales: scales, space: namespace, report: told,
	}
	return []step{
		{"typed create", c.create},
		{"typed watch", c.watch},
		{"typed update", c.update},
		{"typed apply", c.apply},
		{"typed patch", c.patch},
		{"typed status", c.status},
		{"typed scale", c.scale},
		{"typed list", c.list},
		{"typed delete", c.remove},
	}, nil
}

func (c *typedClient) get(ctx context.Context) (*lws.LeaderWorkerSet, error) {
	return c.sets.Get(ctx, typed, meta.GetOptions{})
}

// compare fails if something that was sent is not stored, and notes what is stored and not known.
func (c *typedClient) compare(ctx context.Context, sent *lws.LeaderWorkerSet) error {
	stored, err := c.raw.Get(ctx, sent.Name, meta.GetOptions{})
	if err != nil {
		return err
	}
	gone, err := lost(map[string]any{"spec": sent.Spec}, map[string]any{"spec": stored.Object["spec"]})
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		return fmt.Errorf("not stored as it was sent: %v", gone)
	}
	read, err := c.sets.Get(ctx, sent.Name, meta.GetOptions{ResourceVersion: stored.GetResourceVersion()})
	if err != nil {
		return err
	}
	if read.ResourceVersion != stored.GetResourceVersion() {
		return c.compare(ctx, sent)
	}
	return c.read(stored, read)
}

func (c *typedClient) read(stored *unstructured.Unstructured, read *lws.LeaderWorkerSet) error {
	unstructured.RemoveNestedField(stored.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(stored.Object, "apiVersion")
	unstructured.RemoveNestedField(stored.Object, "kind")
	unknown, err := lost(stored.Object, read)
	c.report.unknown(unknown)
	return err
}

func (c *typedClient) create(ctx context.Context) error {
	for _, each := range []*lws.LeaderWorkerSet{small(c.space, typed), whole(c.space, "typed-whole")} {
		if _, err := c.sets.Create(ctx, each, meta.CreateOptions{FieldValidation: meta.FieldValidationStrict}); err != nil {
			return err
		}
		if err := c.compare(ctx, each); err != nil {
			return err
		}
	}
	return nil
}

func (c *typedClient) watch(ctx context.Context) error {
	begin, err := c.get(ctx)
	if err != nil {
		return err
	}
	seen, err := c.sets.Watch(ctx, meta.ListOptions{ResourceVersion: begin.ResourceVersion, FieldSelector: "metadata.name=" + typed})
	if err != nil {
		return err
	}
	defer seen.Stop()
	for done := available(begin); !done; {
		select {
		case event, open := <-seen.ResultChan():
			set, ok := event.Object.(*lws.LeaderWorkerSet)
			if !open || !ok {
				return fmt.Errorf("the watch ended with %v", event)
			}
			done = available(set)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	set, err := c.get(ctx)
	if err != nil {
		return err
	}
	if set.Status.Replicas != 1 || set.Status.HPAPodSelector == "" {
		return fmt.Errorf("status %+v", set.Status)
	}
	return c.compare(ctx, set)
}

func (c *typedClient) update(ctx context.Context) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		set, err := c.get(ctx)
		if err != nil {
			return err
		}
		before := set.Generation
		set.Labels["client.example.com/updated"] = "true"
		updated, err := c.sets.Update(ctx, set, meta.UpdateOptions{})
		if err != nil {
			return err
		}
		if updated.Generation != before {
			return fmt.Errorf("a read and written spec has generation %d after %d", updated.Generation, before)
		}
		return c.compare(ctx, set)
	})
}

func (c *typedClient) apply(ctx context.Context) error {
	wanted := apply.LeaderWorkerSet(typed, c.space).
		WithAnnotations(map[string]string{"client.example.com/applied": "true"}).
		WithSpec(apply.LeaderWorkerSetSpec().WithReplicas(2))
	options := meta.ApplyOptions{FieldManager: manager, Force: true}
	set, err := c.sets.Apply(ctx, wanted, options)
	if err != nil {
		return err
	}
	if *set.Spec.Replicas != 2 {
		return fmt.Errorf("replicas %d", *set.Spec.Replicas)
	}
	condition := applymeta.Condition().WithType(checked).WithStatus(meta.ConditionTrue).WithReason("Applied").
		WithMessage("by apply").WithLastTransitionTime(meta.Now())
	_, err = c.sets.ApplyStatus(ctx, apply.LeaderWorkerSet(typed, c.space).WithStatus(
		apply.LeaderWorkerSetStatus().WithConditions(condition)), options)
	return err
}

func (c *typedClient) patch(ctx context.Context) error {
	label := []byte(`{"metadata":{"labels":{"client.example.com/merged":"true"}}}`)
	if _, err := c.sets.Patch(ctx, typed, types.MergePatchType, label, meta.PatchOptions{}); err != nil {
		return err
	}
	replace := []byte(`[{"op":"replace","path":"/spec/replicas","value":1}]`)
	if _, err := c.sets.Patch(ctx, typed, types.JSONPatchType, replace, meta.PatchOptions{}); err != nil {
		return err
	}
	if _, err := c.sets.Patch(ctx, typed, types.StrategicMergePatchType, label, meta.PatchOptions{}); !errors.IsUnsupportedMediaType(err) {
		return fmt.Errorf("a strategic merge is answered %v", err)
	}
	return nil
}

// status writes a condition of its own: it stays, and so does what the types do not know, once the controller has looked.
func (c *typedClient) status(ctx context.Context) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		set, err := c.get(ctx)
		if err != nil {
			return err
		}
		for index := range set.Status.Conditions {
			if set.Status.Conditions[index].Type == checked {
				set.Status.Conditions[index].Message = "by update"
			}
		}
		_, err = c.sets.UpdateStatus(ctx, set, meta.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		stored, err := c.raw.Get(ctx, typed, meta.GetOptions{})
		if err != nil {
			return false, err
		}
		seen, _, _ := unstructured.NestedInt64(stored.Object, "status", "observedGeneration")
		conditions, _, _ := unstructured.NestedSlice(stored.Object, "status", "conditions")
		for _, each := range conditions {
			condition, _ := each.(map[string]any)
			if condition["type"] == checked && condition["message"] == "by update" {
				return seen == stored.GetGeneration(), nil
			}
		}
		return false, fmt.Errorf("the condition is gone: %v", conditions)
	})
}

// scale does what an autoscaler does.
func (c *typedClient) scale(ctx context.Context) error {
	group := schema.GroupResource{Group: served.Group, Resource: served.Resource}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := c.scales.Scales(c.space).Get(ctx, group, typed, meta.GetOptions{})
		if err != nil {
			return err
		}
		if found.Status.Selector == "" {
			return fmt.Errorf("no selector: %+v", found)
		}
		found.Spec.Replicas = 3
		updated, err := c.scales.Scales(c.space).Update(ctx, group, found, meta.UpdateOptions{})
		if err != nil {
			return err
		}
		if updated.Spec.Replicas != 3 {
			return fmt.Errorf("replicas %+v", updated.Spec)
		}
		return until(ctx, func() (bool, error) {
			var got *autoscaling.Scale
			got, err := c.scales.Scales(c.space).Get(ctx, group, typed, meta.GetOptions{})
			return err == nil && got.Status.Replicas == 3, err
		})
	})
}

func (c *typedClient) list(ctx context.Context) error {
	options := meta.ListOptions{LabelSelector: made + "=true", Limit: 1}
	names := []string{}
	for {
		page, err := c.sets.List(ctx, options)
		if err != nil {
			return err
		}
		for _, each := range page.Items {
			names = append(names, each.Name)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	if len(names) != 2 {
		return fmt.Errorf("listed %v", names)
	}
	return nil
}

func (c *typedClient) remove(ctx context.Context) error {
	set, err := c.get(ctx)
	if err != nil {
		return err
	}
	wrong := meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: ptr.To(types.UID("another"))}}
	if err := c.sets.Delete(ctx, typed, wrong); !errors.IsConflict(err) {
		return fmt.Errorf("a deletion with another UID is answered %v", err)
	}
	right := meta.DeleteOptions{
		Preconditions:     &meta.Preconditions{UID: &set.UID},
		PropagationPolicy: ptr.To(meta.DeletePropagationForeground),
	}
	if err := c.sets.Delete(ctx, typed, right); err != nil {
		return err
	}
	err = c.sets.DeleteCollection(ctx, meta.DeleteOptions{}, meta.ListOptions{LabelSelector: made + "=true"})
	if err != nil {
		return err
	}
	freed := []byte(`[{"op":"remove","path":"/metadata/finalizers"}]`)
	if _, err := c.sets.Patch(ctx, "typed-whole", types.JSONPatchType, freed, meta.PatchOptions{}); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		left, err := c.sets.List(ctx, meta.ListOptions{LabelSelector: made + "=true"})
		return err == nil && len(left.Items) == 0, err
	})
}
