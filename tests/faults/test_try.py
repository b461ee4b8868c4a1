import time
def test_one(open_scene, undisturbed):
    t=time.monotonic()
    print({k:sum(v.values()) for k,v in undisturbed.items()})
    s=open_scene(); print("opened",time.monotonic()-t)
    s.crew.start("worker"); s.crew.start("beat")
    s.until_planned(); print("planned",time.monotonic()-t)
    print(s.rows("select flow,lane,state,tally,finished_at-started_at as took from run order by id"))
    s.approve(); s.until_sent(); print("sent",time.monotonic()-t)
    s.expect(undisturbed); print("end",time.monotonic()-t)
    print(s.rows("select object,count(distinct record_id),count(*) from written group by 1"))
