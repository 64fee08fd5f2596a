package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	lws "sigs.k8s.io/lws/api/leaderworkerset/v1"
)

const (
	made   = "client.example.com/made"
	oldest = "app:1"
)

// small is a set as short as its types let one write it: they send an empty startup policy, which no schema takes.
func small(namespace, name string) *lws.LeaderWorkerSet {
	return &lws.LeaderWorkerSet{
		ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{made: "true"}},
		Spec: lws.LeaderWorkerSetSpec{
			Replicas:      ptr.To[int32](1),
			StartupPolicy: lws.LeaderCreatedStartupPolicy,
			LeaderWorkerTemplate: lws.LeaderWorkerTemplate{
				Size:           ptr.To[int32](2),
				WorkerTemplate: template(oldest),
			},
		},
	}
}

// whole is a set that writes every member of its types.
func whole(namespace, name string) *lws.LeaderWorkerSet {
	leader := template(oldest)
	return &lws.LeaderWorkerSet{
		ObjectMeta: meta.ObjectMeta{
			Namespace:   namespace,
			Name:        name,
			Labels:      map[string]string{made: "true"},
			Annotations: map[string]string{made: "true"},
			Finalizers:  []string{made},
		},
		Spec: lws.LeaderWorkerSetSpec{
			Replicas:      ptr.To[int32](2),
			StartupPolicy: lws.LeaderCreatedStartupPolicy,
			NetworkConfig: &lws.NetworkConfig{SubdomainPolicy: ptr.To(lws.SubdomainUniquePerReplica)},
			RolloutStrategy: lws.RolloutStrategy{
				Type: lws.RollingUpdateStrategyType,
				RollingUpdateConfiguration: &lws.RollingUpdateConfiguration{
					Partition:      ptr.To[int32](0),
					MaxUnavailable: intstr.FromString("50%"),
					MaxSurge:       intstr.FromInt32(1),
				},
			},
			LeaderWorkerTemplate: lws.LeaderWorkerTemplate{
				LeaderTemplate: &leader,
				WorkerTemplate: template(oldest),
				Size:           ptr.To[int32](3),
				RestartPolicy:  lws.RecreateGroupOnPodRestart,
				SubGroupPolicy: &lws.SubGroupPolicy{
					Type:         ptr.To(lws.SubGroupPolicyTypeLeaderExcluded),
					SubGroupSize: ptr.To[int32](2),
				},
			},
		},
	}
}

func template(image string) core.PodTemplateSpec {
	return core.PodTemplateSpec{
		ObjectMeta: meta.ObjectMeta{Labels: map[string]string{"app": "client"}},
		Spec: core.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](5),
			Containers: []core.Container{{
				Name:      "main",
				Image:     image,
				Resources: core.ResourceRequirements{Requests: core.ResourceList{core.ResourceCPU: resource.MustParse("10m")}},
				Ports:     []core.ContainerPort{{ContainerPort: 8080, Protocol: core.ProtocolTCP}},
			}},
		},
	}
}

func available(set *lws.LeaderWorkerSet) bool {
	for _, each := range set.Status.Conditions {
		if each.Type == string(lws.LeaderWorkerSetAvailable) && each.Status == meta.ConditionTrue {
			return true
		}
	}
	return false
}

// plain is what a value looks like on the wire.
func plain(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(text, &out)
}

// lost are the members of one that another has not, or has otherwise; absent, null and empty are the same.
func lost(one, other any) ([]string, error) {
	before, err := plain(one)
	if err != nil {
		return nil, err
	}
	after, err := plain(other)
	if err != nil {
		return nil, err
	}
	found := missing("", before, after)
	slices.Sort(found)
	return found, nil
}

func missing(path string, before, after any) []string {
	if isEmpty(before) {
		return nil
	}
	var found []string
	switch value := before.(type) {
	case map[string]any:
		other, _ := after.(map[string]any)
		for key, each := range value {
			found = append(found, missing(path+"."+key, each, other[key])...)
		}
	case []any:
		other, _ := after.([]any)
		if len(other) != len(value) {
			return []string{path}
		}
		for index, each := range value {
			found = append(found, missing(fmt.Sprintf("%s[%d]", path, index), each, other[index])...)
		}
	default:
		if !reflect.DeepEqual(before, after) {
			return []string{path}
		}
	}
	return found
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case map[string]any:
		for _, each := range value {
			if !isEmpty(each) {
				return false
			}
		}
		return true
	case []any:
		return len(value) == 0
	}
	return false
}
