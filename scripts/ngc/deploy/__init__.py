"""From a DynamoGraphDeployment to what runs: the graph, what is wrong with it, what it becomes, and running that."""
