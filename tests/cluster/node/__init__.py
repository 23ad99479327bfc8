"""The test node: what a kubelet and a container runtime do, with processes of this machine in place of containers.

Belongs here: everything of one node. `process_node.py` beside this folder is the program. What a pod sees and does not
see of a real node is in tests/cluster/README.md.
"""
