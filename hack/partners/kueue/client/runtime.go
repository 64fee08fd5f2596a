package main

import (
	"context"
	"fmt"
	"time"

	autoscaling "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	lws "sigs.k8s.io/lws/api/leaderworkerset/v1"
	apply "sigs.k8s.io/lws/client-go/applyconfiguration/leaderworkerset/v1"
)

const (
	ours   = "runtime"
	future = "runtime-future"
)

// runtimeClient is controller-runtime's, with the reference's types, and its cache.
type runtimeClient struct {
	client.Client
	config *rest.Config
	space  string
}

func runtimeSteps(config *rest.Config, namespace string, _ *report) ([]step, error) {
	log.SetLogger(zap.New())
	scheme := runtime.NewScheme()
	if err := lws.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := autoscaling.AddToScheme(scheme); err != nil {
		return nil, err
	}
	made, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	c := &runtimeClient{made, config, namespace}
	return []step{
		{"runtime create or update", c.createOrUpdate},
		{"runtime cache", c.cached},
		{"runtime patch", c.patch},
		{"runtime apply", c.apply},
		{"runtime status", c.status},
		{"runtime scale", c.scale},
		{"runtime fields from the future", c.unknown},
		{"runtime delete all", c.remove},
	}, nil
}

func (c *runtimeClient) get(ctx context.Context) (*lws.LeaderWorkerSet, error) {
	set := &lws.LeaderWorkerSet{}
	return set, c.Get(ctx, client.ObjectKey{Namespace: c.space, Name: ours}, set)
}

// createOrUpdate twice: the second time there is nothing to do, defaults that the server added notwithstanding.
func (c *runtimeClient) createOrUpdate(ctx context.Context) error {
	for _, wanted := range []controllerutil.OperationResult{controllerutil.OperationResultCreated, controllerutil.OperationResultNone} {
		set := &lws.LeaderWorkerSet{ObjectMeta: meta.ObjectMeta{Namespace: c.space, Name: ours}}
		result, err := controllerutil.CreateOrUpdate(ctx, c, set, func() error {
			fresh := small(c.space, ours)
			set.Labels = fresh.Labels
			set.Spec.Replicas = fresh.Spec.Replicas
			set.Spec.StartupPolicy = fresh.Spec.StartupPolicy
			set.Spec.LeaderWorkerTemplate.Size = fresh.Spec.LeaderWorkerTemplate.Size
			if len(set.Spec.LeaderWorkerTemplate.WorkerTemplate.Spec.Containers) == 0 {
				set.Spec.LeaderWorkerTemplate.WorkerTemplate = fresh.Spec.LeaderWorkerTemplate.WorkerTemplate
			}
			return nil
		})
		if err != nil {
			return err
		}
		if result != wanted {
			return fmt.Errorf("%s, not %s", result, wanted)
		}
	}
	return nil
}

// cached waits in an informer for the set to become available.
func (c *runtimeClient) cached(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seen, err := cache.New(c.config, cache.Options{Scheme: c.Scheme(), DefaultNamespaces: map[string]cache.Config{c.space: {}}})
	if err != nil {
		return err
	}
	informer, err := seen.GetInformer(ctx, &lws.LeaderWorkerSet{})
	if err != nil {
		return err
	}
	told := make(chan struct{}, 1)
	note := func(object any) {
		if set, ok := object.(*lws.LeaderWorkerSet); ok && set.Name == ours && available(set) {
			select {
			case told <- struct{}{}:
			default:
			}
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, after any) { note(after) }})
	if err != nil {
		return err
	}
	go func() { _ = seen.Start(ctx) }()
	select {
	case <-told:
		return seen.Get(ctx, client.ObjectKey{Namespace: c.space, Name: ours}, &lws.LeaderWorkerSet{})
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *runtimeClient) patch(ctx context.Context) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		set, err := c.get(ctx)
		if err != nil {
			return err
		}
		before := set.DeepCopy()
		set.Spec.LeaderWorkerTemplate.WorkerTemplate.Spec.Containers[0].Image = "app:2"
		return c.Patch(ctx, set, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
}

func (c *runtimeClient) apply(ctx context.Context) error {
	wanted := apply.LeaderWorkerSet(ours, c.space).WithSpec(apply.LeaderWorkerSetSpec().WithReplicas(2))
	if err := c.Apply(ctx, wanted, client.FieldOwner(manager), client.ForceOwnership); err != nil {
		return err
	}
	set, err := c.get(ctx)
	if err != nil {
		return err
	}
	if *set.Spec.Replicas != 2 {
		return fmt.Errorf("replicas %d", *set.Spec.Replicas)
	}
	return nil
}

func (c *runtimeClient) status(ctx context.Context) error {
	set, err := c.get(ctx)
	if err != nil {
		return err
	}
	before := set.DeepCopy()
	set.Status.Conditions = append(set.Status.Conditions, meta.Condition{
		Type: checked, Status: meta.ConditionTrue, Reason: "Patched", Message: "by patch", LastTransitionTime: meta.Now(),
	})
	return retry.OnError(retry.DefaultRetry, errors.IsConflict, func() error {
		return c.Status().Patch(ctx, set, client.MergeFrom(before))
	})
}

func (c *runtimeClient) scale(ctx context.Context) error {
	set, err := c.get(ctx)
	if err != nil {
		return err
	}
	wanted := &autoscaling.Scale{Spec: autoscaling.ScaleSpec{Replicas: 1}}
	if err := c.SubResource("scale").Update(ctx, set, client.WithSubResourceBody(wanted)); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		found := &autoscaling.Scale{}
		err := c.SubResource("scale").Get(ctx, set, found)
		return err == nil && found.Spec.Replicas == 1 && found.Status.Replicas == 1, err
	})
}

// unknown sends members that no release has: they are dropped with a warning, or refused where that is asked for.
func (c *runtimeClient) unknown(ctx context.Context) error {
	found, err := plain(small(c.space, future))
	if err != nil {
		return err
	}
	object, _ := found.(map[string]any)
	delete(object, "status")
	set := &unstructured.Unstructured{Object: object}
	set.SetGroupVersionKind(lws.SchemeGroupVersion.WithKind("LeaderWorkerSet"))
	if err := unstructured.SetNestedField(set.Object, "yes", "spec", "fromTheFuture"); err != nil {
		return err
	}
	strict := client.WithFieldValidation(c, client.FieldValidation(meta.FieldValidationStrict))
	if err := strict.Create(ctx, set.DeepCopy()); !errors.IsBadRequest(err) {
		return fmt.Errorf("strict validation is answered %v", err)
	}
	if err := c.Create(ctx, set); err != nil {
		return err
	}
	if _, there, _ := unstructured.NestedString(set.Object, "spec", "fromTheFuture"); there {
		return fmt.Errorf("an unknown member was stored")
	}
	return nil
}

func (c *runtimeClient) remove(ctx context.Context) error {
	background := client.PropagationPolicy(meta.DeletePropagationBackground)
	err := c.DeleteAllOf(ctx, &lws.LeaderWorkerSet{}, client.InNamespace(c.space), client.MatchingLabels{made: "true"}, background)
	if err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		left := &lws.LeaderWorkerSetList{}
		err := c.List(ctx, left, client.InNamespace(c.space), client.MatchingLabels{made: "true"})
		return err == nil && len(left.Items) == 0, err
	})
}

// until asks again until something holds.
func until(ctx context.Context, holds func() (bool, error)) error {
	for {
		done, err := holds()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
